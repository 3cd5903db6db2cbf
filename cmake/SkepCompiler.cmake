# Warnings, sanitizers and ccache for every target of ours.
find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(skep_options INTERFACE)
target_compile_options(skep_options INTERFACE
    -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wformat=2 -Wvla
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wduplicated-cond -Wlogical-op>
    # GCC 12 sees phantom overflows in inlined std::string and std::vector (GCC bugs 105329, 105651).
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds>
    -Wno-missing-field-initializers  # Designated initialisers leave the defaults alone on purpose.
    $<$<BOOL:${SKEP_WERROR}>:-Werror>
    -fno-omit-frame-pointer)
if(SKEP_SANITIZE)
    add_compile_options(-fsanitize=${SKEP_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${SKEP_SANITIZE})
endif()
if(SKEP_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
