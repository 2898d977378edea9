python study.py --multirun +batch=16,32,64
