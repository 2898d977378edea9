from itertools import product


def without(*wildcards):
    """Combine all values but one pair."""
    return [one for one in product(*wildcards) if dict(one) != {"model": "large", "window": 20}]


rule study:
    input:
        expand("out/model~{model}/window~{window}.txt", without, model=["small", "large"], window=[5, 10, 20]),
        "out/model~huge/window~5.txt",
    shell:
        "collect {input}"


rule one:
    output:
        "out/model~{model}/window~{window}.txt",
    shell:
        "touch {output}"
