def main(b, /, *, c, d=1): pass
