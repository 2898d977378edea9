SAMPLES = ["liver", "heart", "brain"]


rule study:
    input:
        expand("out/sample~{sample}/aligner~{aligner}/k~{k}.txt", sample=SAMPLES, aligner=["bwa", "star"], k=[21, 31]),
    shell:
        "collect {input}"


rule one:
    output:
        "out/sample~{sample}/aligner~{aligner}/k~{k}.txt",
    shell:
        "touch {output}"
