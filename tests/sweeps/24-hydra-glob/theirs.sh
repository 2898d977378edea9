python study.py --multirun 'data=glob(*,exclude=[big*])' 'fold=range(3)'
