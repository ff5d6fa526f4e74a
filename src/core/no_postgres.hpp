// Last include of every file in core: the core is tested and fuzzed without a server and cannot reach one.
#ifdef POSTGRES_H
#error "src/core must not see a PostgreSQL header"
#endif
