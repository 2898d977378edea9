def main(aa): pass
