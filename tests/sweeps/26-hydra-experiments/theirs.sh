python study.py --multirun '+experiment=glob(*)' fold=0,1
