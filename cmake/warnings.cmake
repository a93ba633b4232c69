# One list of warnings for every target of vane, and the sanitizers where they are asked for.
add_library(vane_warnings INTERFACE)
target_compile_options(vane_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
  -Wpointer-arith -Wcast-qual -Wundef -Wvla -Wdouble-promotion $<$<BOOL:${VANE_WERROR}>:-Werror>)
if(VANE_SANITIZE)
  add_compile_options(-fsanitize=${VANE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${VANE_SANITIZE})
endif()
