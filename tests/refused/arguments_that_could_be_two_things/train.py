def main(data, clean_up):
    return data, clean_up
