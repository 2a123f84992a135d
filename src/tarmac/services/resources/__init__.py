"""Everything that there is, as it is shown: rows of the cluster and of a node, a guest's status, a node's report."""
