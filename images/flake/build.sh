# Runs in Nix's sandbox, where there is nothing but what the derivation names.
set -e
box=$from/busybox
$box mkdir -p "$out/bin"
$box cp "$box" "$out/bin/busybox"
for applet in $applets; do
    $box ln -s busybox "$out/bin/$applet"
done
