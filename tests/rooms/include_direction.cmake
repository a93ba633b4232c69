# A room includes only rooms that the map allows: run with -DSOURCE=<project folder>.
#
# Each line: a room, then the rooms it may include besides itself and include/vane;
# kernels stands for kernels/kernels.h, which the CUDA backend calls.
cmake_minimum_required(VERSION 3.25)

set(rooms
  "base:"
  "config:base"
  "format:base"
  "data:base config format"
  "device:base config kernels"
  "net:base config device"
  "grad:base config device net"
  "optim:base config device"
  "store:base config format"
  "train:base config format data device net grad optim store"
  "lab:base config data device optim store train"
  "cli:base config format data device net grad optim store train lab")

set(broken 0)
set(checked 0)
foreach(line IN LISTS rooms)
  string(REGEX REPLACE ":.*" "" room "${line}")
  string(REGEX REPLACE "^[^:]*:" "" allowed "${line}")
  string(REPLACE " " ";" allowed "${allowed}")
  list(APPEND known ${room})
  file(GLOB_RECURSE files ${SOURCE}/src/${room}/*.c ${SOURCE}/src/${room}/*.h ${SOURCE}/src/${room}/*.def)
  if(NOT files)
    message(SEND_ERROR "no such room: src/${room}")
  endif()
  foreach(file IN LISTS files)
    file(STRINGS ${file} includes REGEX "^#include \"")
    foreach(include IN LISTS includes)
      math(EXPR checked "${checked} + 1")
      string(REGEX REPLACE "^#include \"([^\"]*)\".*" "\\1" path "${include}")
      string(REGEX REPLACE "/.*" "" target "${path}")
      if(path MATCHES "\\.pb-c\\.h$")
        if(NOT room STREQUAL "format") # what protoc-c makes belongs to the formats alone
          message(SEND_ERROR "${file}: ${path} belongs to src/format")
          set(broken 1)
        endif()
      elseif(NOT target STREQUAL "vane" AND NOT target STREQUAL "${room}" AND NOT target IN_LIST allowed)
        message(SEND_ERROR "${file}: src/${room} must not include ${path}")
        set(broken 1)
      endif()
    endforeach()
  endforeach()
endforeach()

file(GLOB folders RELATIVE ${SOURCE}/src ${SOURCE}/src/*)
foreach(folder IN LISTS folders)
  if(IS_DIRECTORY ${SOURCE}/src/${folder} AND NOT folder IN_LIST known)
    message(SEND_ERROR "src/${folder} is a room that tests/rooms/include_direction.cmake does not know")
    set(broken 1)
  endif()
endforeach()
if(checked LESS 100)
  message(FATAL_ERROR "only ${checked} includes found; is SOURCE right?")
endif()
if(NOT broken)
  message(STATUS "${checked} includes, all in the direction of the flow")
endif()
