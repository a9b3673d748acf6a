# How a room is built.
#
#   holdfast_room(NAME <room> SOURCES <files> ROOMS <rooms it may see> LIBRARIES <targets> [DEFINITIONS <macros>])
#
# builds libholdfast_<room>.a, and once more with the fault hooks compiled in (holdfast_<room>_faults), for tests and the
# simulator: a released binary has no hooks.
#
#   holdfast_test(ROOM <room> SOURCES <files> [ROOMS ...] [LIBRARIES ...])
#
# builds test_<room> from Criterion tests, linked with the fault hooks, and registers it with ctest.

set(HOLDFAST_WARNINGS -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror)

function(holdfast_room_library target)
  cmake_parse_arguments(ARG "" "ROOM;SUFFIX" "SOURCES;ROOMS;LIBRARIES;DEFINITIONS" ${ARGN})
  add_library(${target} STATIC ${ARG_SOURCES})
  target_compile_options(${target} PRIVATE ${HOLDFAST_WARNINGS})
  target_compile_definitions(${target} PRIVATE ${ARG_DEFINITIONS})
  target_include_directories(${target} PUBLIC ${CMAKE_BINARY_DIR}/rooms/${ARG_ROOM})
  foreach(room IN LISTS ARG_ROOMS)
    target_link_libraries(${target} PUBLIC holdfast_${room}${ARG_SUFFIX})
  endforeach()
  target_link_libraries(${target} PUBLIC ${ARG_LIBRARIES})
  if(ARG_SUFFIX STREQUAL "_faults")
    target_compile_definitions(${target} PUBLIC HOLDFAST_FAULTS)
  endif()
endfunction()

function(holdfast_room)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;ROOMS;LIBRARIES;DEFINITIONS" ${ARGN})
  # The room's headers are reached as "<room>/file.h", through a directory that holds this room alone.
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/rooms/${ARG_NAME})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${ARG_NAME} ${CMAKE_BINARY_DIR}/rooms/${ARG_NAME}/${ARG_NAME} SYMBOLIC)
  holdfast_room_library(holdfast_${ARG_NAME} ROOM ${ARG_NAME} SUFFIX "" SOURCES ${ARG_SOURCES} ROOMS ${ARG_ROOMS}
                        LIBRARIES ${ARG_LIBRARIES} DEFINITIONS ${ARG_DEFINITIONS})
  if(HOLDFAST_TESTS)
    holdfast_room_library(holdfast_${ARG_NAME}_faults ROOM ${ARG_NAME} SUFFIX "_faults" SOURCES ${ARG_SOURCES}
                          ROOMS ${ARG_ROOMS} LIBRARIES ${ARG_LIBRARIES} DEFINITIONS ${ARG_DEFINITIONS})
  endif()
endfunction()

function(holdfast_test)
  cmake_parse_arguments(ARG "" "ROOM" "SOURCES;ROOMS;LIBRARIES" ${ARGN})
  if(NOT HOLDFAST_TESTS)
    return()
  endif()
  set(target test_${ARG_ROOM})
  add_executable(${target} ${ARG_SOURCES})
  target_compile_options(${target} PRIVATE ${HOLDFAST_WARNINGS})
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_link_libraries(${target} PRIVATE holdfast_${ARG_ROOM}_faults PkgConfig::CRITERION ${ARG_LIBRARIES})
  foreach(room IN LISTS ARG_ROOMS)
    target_link_libraries(${target} PRIVATE holdfast_${room}_faults)
  endforeach()
  add_test(NAME unit/${ARG_ROOM} COMMAND ${target})
  set_tests_properties(unit/${ARG_ROOM} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()
