python study.py --multirun '+net={kind:dense,layers:2},{kind:conv,layers:5}' dropout=true,false
