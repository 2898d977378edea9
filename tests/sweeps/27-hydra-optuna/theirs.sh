python study.py --multirun 'x=interval(-5.0,5.0)' 'lr=tag(log,interval(0.0001,1.0))' 'act=choice(relu,tanh)'
