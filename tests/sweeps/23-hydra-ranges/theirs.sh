python study.py --multirun 'depth=range(2,9,3)' 'width=sort(choice(64,16,32),reverse=true)' 'rate=float(range(0,3))'
