# skep_bpf_object(<target> SOURCE f.bpf.c OUTPUT f.o [CPU v3] [FLAGS ...] [HEADERS f.h...]): a BPF object by clang-19.
find_program(SKEP_CLANG NAMES clang-19 REQUIRED)
execute_process(COMMAND gcc -print-multiarch OUTPUT_VARIABLE SKEP_MULTIARCH OUTPUT_STRIP_TRAILING_WHITESPACE)
# What PT_REGS_PARM1 and its kind go by.
string(REGEX REPLACE "-.*" "" SKEP_TARGET_ARCH ${SKEP_MULTIARCH})
string(REPLACE "x86_64" "x86" SKEP_TARGET_ARCH ${SKEP_TARGET_ARCH})
string(REPLACE "aarch64" "arm64" SKEP_TARGET_ARCH ${SKEP_TARGET_ARCH})
function(skep_bpf_object target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "SOURCE;OUTPUT;CPU" "FLAGS;HEADERS")
    if(NOT arg_CPU)
        set(arg_CPU v3)
    endif()
    cmake_path(ABSOLUTE_PATH arg_SOURCE BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE source)
    add_custom_command(OUTPUT ${arg_OUTPUT}
        COMMAND ${SKEP_CLANG} --target=bpf -O2 -g -mcpu=${arg_CPU} -Wall -Werror -D__TARGET_ARCH_${SKEP_TARGET_ARCH}
                -idirafter /usr/include/${SKEP_MULTIARCH} ${arg_FLAGS} -c ${source} -o ${arg_OUTPUT}
        DEPENDS ${source} ${arg_HEADERS} VERBATIM)
    add_custom_target(${target} ALL DEPENDS ${arg_OUTPUT})
endfunction()
