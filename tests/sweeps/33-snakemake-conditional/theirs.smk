C = [1, 10, 100]


rule study:
    input:
        expand("out/kernel~linear/c~{c}.txt", c=C),
        expand("out/kernel~rbf/gamma~{gamma}/c~{c}.txt", gamma=[0.1, 1.5], c=C),
    shell:
        "collect {input}"


rule linear:
    output:
        "out/kernel~linear/c~{c}.txt",
    shell:
        "touch {output}"


rule rbf:
    output:
        "out/kernel~rbf/gamma~{gamma}/c~{c}.txt",
    shell:
        "touch {output}"
