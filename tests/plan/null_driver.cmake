# Writes OUTPUT, C for a stand-in of libcuda.so.1 on machines without a driver, so that cuDNN can
# compile what it compiles at run time: every function of the toolkit's own STUB. Loading a compiled
# kernel "succeeds" with a handle that stands for nothing; all else answers as the stub does, 34
# (CUDA_ERROR_STUB_LIBRARY).
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${NM} -D --defined-only ${STUB} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
set(loads cuLibraryLoadData cuLibraryGetModule cuLibraryGetKernel cuModuleGetFunction cuKernelGetFunction)
string(REGEX MATCHALL " T [A-Za-z0-9_]+" symbols "${symbols}")
set(text)
foreach(symbol ${symbols})
  string(SUBSTRING ${symbol} 3 -1 name)
  if(name IN_LIST loads)
    string(APPEND text
           "int ${name}(void **made);\nint ${name}(void **made) {\n  static char any;\n  *made = &any;\n  return 0;\n}\n")
  else()
    string(APPEND text "int ${name}(void);\nint ${name}(void) {\n  return 34;\n}\n")
  endif()
endforeach()
file(WRITE ${OUTPUT} "${text}")
