def main():
    def inner():
        pass

    inner()


async def later():
    pass
