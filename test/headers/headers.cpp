// The precompiled headers need a target; this is all that it has.
int main() {}
