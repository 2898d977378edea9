print("not run by this test")
