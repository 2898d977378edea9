main = lambda a: None
