"""Writers: each format is an ordered table of pieces (:mod:`.segments`), compiled per layout."""
