def main(prep, point): pass
