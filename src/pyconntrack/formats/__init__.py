"""Writers: each format is an ordered list of segments (:mod:`.segments`), compiled per layout."""
