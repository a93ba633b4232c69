# The CUDA toolkit with cuDNN and cuBLASLt, 12.4 or later, where this machine has them:
#   VANE_CUDA           whether all of it is there; if not, what is built of CUDA is skipped aloud
#   VANE_NVCC           the compiler of kernels/*.cu
#   VANE_CUDA_INCLUDE   folders with cuda_runtime_api.h, cudnn.h, cublasLt.h
#   VANE_CUDART_STATIC, VANE_CUDNN, VANE_CUBLASLT   libraries
#
# nvcc is looked for in the PATH, then in /usr/local/cuda; the rest beside it, then where the system
# keeps headers and libraries (a distribution's package of cuDNN). Give VANE_NVCC to choose a toolkit.
find_program(VANE_NVCC nvcc PATHS /usr/local/cuda/bin)
mark_as_advanced(VANE_NVCC)

set(cuda_missing)
if(VANE_NVCC)
  # Its own word for where it lies: what the PATH has may be a script that calls it.
  execute_process(COMMAND ${VANE_NVCC} --dryrun -c nothing.cu OUTPUT_VARIABLE cuda_root ERROR_VARIABLE cuda_root)
  string(REGEX MATCH "_HERE_=([^\n]*)" cuda_root "${cuda_root}")
  get_filename_component(cuda_root "${CMAKE_MATCH_1}" REALPATH)
  get_filename_component(cuda_root "${cuda_root}" DIRECTORY)

  foreach(header cuda_runtime_api.h cudnn.h cublasLt.h)
    find_path(VANE_INCLUDE_OF_${header} ${header}
              HINTS ${cuda_root} PATH_SUFFIXES include targets/${CMAKE_SYSTEM_PROCESSOR}-linux/include)
    mark_as_advanced(VANE_INCLUDE_OF_${header})
    if(VANE_INCLUDE_OF_${header})
      list(APPEND VANE_CUDA_INCLUDE ${VANE_INCLUDE_OF_${header}})
    else()
      list(APPEND cuda_missing ${header})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES VANE_CUDA_INCLUDE)

  foreach(pair CUDART_STATIC=libcudart_static.a CUDNN=libcudnn.so CUBLASLT=libcublasLt.so)
    string(REPLACE "=" ";" pair ${pair})
    list(GET pair 0 variable)
    list(GET pair 1 library)
    find_library(VANE_${variable} ${library}
                 HINTS ${cuda_root} PATH_SUFFIXES lib64 lib targets/${CMAKE_SYSTEM_PROCESSOR}-linux/lib)
    mark_as_advanced(VANE_${variable})
    if(NOT VANE_${variable})
      list(APPEND cuda_missing ${library})
    endif()
  endforeach()

  if(VANE_INCLUDE_OF_cuda_runtime_api.h)
    file(STRINGS ${VANE_INCLUDE_OF_cuda_runtime_api.h}/cuda_runtime_api.h version REGEX "define CUDART_VERSION +[0-9]+")
    string(REGEX MATCH "[0-9]+" version "${version}")
    if(version LESS 12040)
      list(APPEND cuda_missing "CUDA 12.4 or later (${VANE_NVCC} is of version ${version})")
    endif()
  endif()
  if(VANE_INCLUDE_OF_cudnn.h AND NOT EXISTS ${VANE_INCLUDE_OF_cudnn.h}/cudnn_graph.h)
    list(APPEND cuda_missing "cuDNN 9")
  endif()
else()
  list(APPEND cuda_missing "the CUDA toolkit (nvcc)")
endif()

if(cuda_missing)
  set(VANE_CUDA OFF)
  list(JOIN cuda_missing ", " cuda_missing)
  message(STATUS "SKIPPED: the CUDA backend and its tests; missing: ${cuda_missing}")
else()
  set(VANE_CUDA ON)
  message(STATUS "CUDA toolkit: ${cuda_root}")
endif()
