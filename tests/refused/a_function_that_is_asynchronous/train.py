async def main(a):
    pass
