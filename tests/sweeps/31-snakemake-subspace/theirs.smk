import pandas as pd
from snakemake.utils import Paramspace

table = pd.read_csv("params.csv")
space = Paramspace(table[table.beta > 1])


rule study:
    input:
        expand(expand("out/{params}/again~{{again}}.txt", params=space.instance_patterns), again=range(2)),
    shell:
        "collect {input}"


rule one:
    output:
        f"out/{space.wildcard_pattern}/again~{{again}}.txt",
    shell:
        "touch {output}"
