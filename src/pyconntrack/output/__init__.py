"""Writers: each format is an ordered table of pieces (:mod:`.pieces`), compiled per layout."""
