"""Writers: each format is an ordered list of segments (:mod:`.segments`), compiled per layout."""

#: the words of -o that select a document format; at most one at a time
DOCUMENTS = ("xml", "save", "json", "ndjson", "csv", "table")
