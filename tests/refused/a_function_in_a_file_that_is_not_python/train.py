def main(a:
  pass
