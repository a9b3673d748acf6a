# The libraries that Holdfast stands on, all from Debian packages. ops/up and ops/test install them.
find_package(PkgConfig REQUIRED)

# c-raft: the version is pinned. 0.15 commits entries of old terms by counting replicas (Raft §5.4.2) and loses data; a
# newer one has not been examined. The guards of consensus/guard.h are written for this one.
pkg_check_modules(RAFT REQUIRED IMPORTED_TARGET raft=0.22.1)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(ROCKSDB REQUIRED IMPORTED_TARGET rocksdb>=7.8)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash>=0.8)
pkg_check_modules(CYAML REQUIRED IMPORTED_TARGET libcyaml>=1.3)
pkg_check_modules(LIBBSD REQUIRED IMPORTED_TARGET libbsd)
find_program(PROTOC_C protoc-c REQUIRED)
if(HOLDFAST_TESTS)
  pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion>=2.4)
endif()
