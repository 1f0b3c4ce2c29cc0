"""Measurements of trained networks and of training, one a file: paths, planes, spectra of curvature, early steps, magnitudes."""
