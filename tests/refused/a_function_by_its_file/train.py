def main(a): pass
