"""How a bundle is started: text, made from a plan; nothing here runs anything."""
