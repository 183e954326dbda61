"""A lab: two hosts with vmsecd on one machine, for the demo, the end-to-end tests and the benchmarks."""
