# skep_library(), skep_test(), skep_fuzzer() and skep_tool(): nothing else creates a C++ target.

# skep_library(<name> RANK <n> [PUBLIC libs] [PRIVATE libs] [EXTERNAL targets] SOURCES files)
# Makes skep_<name> and skep_<name>_internal (the path to src/, for the library's own unit tests).
function(skep_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "RANK" "PUBLIC;PRIVATE;EXTERNAL;SOURCES")
    foreach(dep IN LISTS arg_PUBLIC arg_PRIVATE)
        get_target_property(rank skep_${dep} SKEP_RANK)
        if(NOT rank LESS arg_RANK)
            message(FATAL_ERROR "${name} (rank ${arg_RANK}) must not use ${dep} (rank ${rank})")
        endif()
    endforeach()
    list(TRANSFORM arg_PUBLIC PREPEND skep_)
    list(TRANSFORM arg_PRIVATE PREPEND skep_)
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS include/*.hpp)
    add_library(skep_${name} STATIC ${arg_SOURCES})
    target_sources(skep_${name} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${headers})
    target_link_libraries(skep_${name}
        PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} ${arg_EXTERNAL} $<BUILD_INTERFACE:skep_options>)
    set_target_properties(skep_${name} PROPERTIES SKEP_RANK ${arg_RANK} POSITION_INDEPENDENT_CODE ON)
    add_library(skep_${name}_internal INTERFACE)
    target_include_directories(skep_${name}_internal INTERFACE src)
    target_link_libraries(skep_${name}_internal INTERFACE skep_${name})
endfunction()

# skep_test(<name> LABEL <folder> [THREADS] [SERIAL] [TIMEOUT s] LIBS targets SOURCES files)
# One GoogleTest binary; each TEST is a CTest test. THREADS marks what ThreadSanitizer must run.
function(skep_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "THREADS;SERIAL" "LABEL;TIMEOUT" "LIBS;SOURCES;DEFINITIONS")
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    set(labels ${SKEP_TEST_PREFIX}${arg_LABEL})
    if(arg_THREADS)
        string(APPEND labels -threads) # One label: lists do not survive test discovery.
    endif()
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE ${arg_LIBS} skep_options GTest::gmock GTest::gtest_main)
    target_compile_definitions(${name} PRIVATE
        SKEP_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SKEP_BINARY_DIR="${CMAKE_BINARY_DIR}" ${arg_DEFINITIONS})
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 TEST_PREFIX "${SKEP_TEST_PREFIX}"
        PROPERTIES LABELS "${labels}" TIMEOUT ${arg_TIMEOUT} RUN_SERIAL $<BOOL:${arg_SERIAL}>)
endfunction()

# skep_fuzzer(<name> LIBS targets): test/fuzz/<name>_fuzz.cpp with corpus test/fuzz/corpus/<name>/.
# Under SKEP_FUZZ a libFuzzer binary; elsewhere (and there too) the corpus is replayed as an ordinary test.
function(skep_fuzzer name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS")
    add_executable(${name}_fuzz ${name}_fuzz.cpp)
    target_link_libraries(${name}_fuzz PRIVATE ${arg_LIBS} skep_options)
    if(SKEP_FUZZ)
        target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
        set(command ${name}_fuzz -runs=0)
    else()
        target_sources(${name}_fuzz PRIVATE replay_main.cpp)
        set(command ${name}_fuzz)
    endif()
    add_test(NAME fuzz.${name} COMMAND ${command} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 120)
    set_property(GLOBAL APPEND PROPERTY SKEP_FUZZERS ${name})
endfunction()
