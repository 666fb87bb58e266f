"""The integrator's bench: read, probe, budget and prove one meter before it joins a site."""
