class Main:
    pass


def main(a):
    pass
