"""Scaling, simulated: the rendered autoscaler object against traces of load, before a cluster has to find out."""
