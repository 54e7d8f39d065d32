"""Public data sets as downloaded, turned into what trains and scores fast: the command ``sdnet-pl prepare``."""
