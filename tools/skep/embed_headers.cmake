# cmake -DOUTPUT=file.cpp -DFOLDER=headers -DFILES="bpf/a.h;bpf/b.h" -P embed_headers.cmake
# Writes the headers as one C++ table, so that the installed tool needs no data files.
set(text "// Made by embed_headers.cmake.\n#include \"headers.hpp\"\n\nnamespace skep::tool {\nnamespace {\n")
set(rows "")
foreach(file IN LISTS FILES)
    file(READ ${FOLDER}/${file} content)
    string(APPEND rows "    {\"${file}\", R\"skep(${content})skep\"},\n")
endforeach()
string(APPEND text "constexpr EmbeddedHeader kHeaders[] = {\n${rows}};\n} // namespace\n\n"
    "std::span<const EmbeddedHeader> embedded_headers() noexcept { return kHeaders; }\n\n} // namespace skep::tool\n")
file(WRITE ${OUTPUT} "${text}")
