#!/bin/sh
# The loop inside the box where the image has no python3: the same answers as loop.py, from a POSIX shell.
# A request is a line of shell words that `box` has quoted; "$NL" in it stands for a newline. It is used in containers
# only, whose own processes all end with this one, so nothing is left to clear when standard input ends.
# Peak memory is not to be had here (the answer says 0); times are the shell's own, in hundredths of a second.
NL='
'
setsid=$(command -v setsid)
exec 3>&1

# seconds TICKS -> 62.34 (Linux counts a hundred ticks a second here, whatever its clock)
seconds() {
    printf '%d.%02d' $(($1 / 100)) $(($1 % 100))
}

# attempt TOKEN FOLDER STDOUT STDERR PROGRAM…: run one step to its end and tell of it. Its settings are exported already.
attempt() {
    token=$1 folder=$2 out=$3 err=$4
    shift 4
    umask 022
    # That its place is gone is not the step's doing, and is told apart from how a program ends.
    if ! { cd "$folder" && true >"$out" 2>"$err"; }; then
        printf 'unable\t%s\tits folder or its logs cannot be opened\n' "$token" >&3
        return
    fi
    (
        trap - INT TERM USR1 # what this shell ignores its children would ignore too
        # The pid is told first, so that `signal` can reach the session.
        exec $setsid /bin/sh -c 'printf "pid\t%s\t%s\n" "$0" "$$" >&3; exec 3>&-; exec "$@"' "$token" "$@"
    ) </dev/null >"$out" 2>"$err"
    code=$? ended=0
    [ "$code" -gt 128 ] && ended=$((code - 128)) code=0
    # What this shell's children used: cutime and cstime, proc(5). `times` in $(…) would tell of a new process, so 0.
    read -r stat </proc/self/stat
    set -- ${stat##*) } # what follows the name begins with field 3
    printf 'end\t%s\t%s\t%s\t%s\t%s\t0\n' "$token" "$code" "$ended" "$(seconds "${14}")" "$(seconds "${15}")" >&3
}

# start COUNT NAME=VALUE… TOKEN FOLDER STDOUT STDERR PROGRAM…
start() {
    # Two forks: the outer one ends at once, so that this shell keeps no table of past steps.
    (
        (
            count=$1
            shift
            while [ "$count" -gt 0 ]; do
                export "$1"
                shift
                count=$((count - 1))
            done
            attempt "$@" 2>/dev/null
        ) &
    )
}

# halt PID NUMBER: signal a step's session, or the one process where the image has no setsid.
halt() {
    if [ -n "$setsid" ]; then kill -s "$2" -- "-$1" 2>/dev/null; else kill -s "$2" "$1" 2>/dev/null; fi
}

trap '' INT TERM USR1
read -r hostname </proc/sys/kernel/hostname
printf 'ready\tsh\t\t\t%s\t%s\n' "$hostname" "$$" >&3
while IFS= read -r request; do
    eval "$request"
done
