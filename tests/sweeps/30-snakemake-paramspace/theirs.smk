import pandas as pd
from snakemake.utils import Paramspace

space = Paramspace(pd.read_csv("params.csv"))


rule study:
    input:
        expand("out/{params}.txt", params=space.instance_patterns),
    shell:
        "collect {input}"


rule one:
    output:
        f"out/{space.wildcard_pattern}.txt",
    shell:
        "touch {output}"
