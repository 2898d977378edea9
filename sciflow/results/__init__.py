"""What was found: records become a table, the table becomes charts, a page and a verdict."""
