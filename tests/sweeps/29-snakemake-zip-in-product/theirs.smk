PAIRS = expand(
    "out/tumor~{tumor}/normal~{normal}/caller~{{caller}}.txt",
    zip,
    tumor=["t1", "t2", "t3"],
    normal=["n1", "n1", "n2"],
)


rule study:
    input:
        expand(PAIRS, caller=["fast", "exact"]),
    shell:
        "collect {input}"


rule one:
    output:
        "out/tumor~{tumor}/normal~{normal}/caller~{caller}.txt",
    shell:
        "touch {output}"
