// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cctype>
#include <fmt/format.h>

#include "cli.hpp"
#include "explanations.hpp"
#include "skep/verifier/verifier.hpp"

namespace skep::tool {
namespace {

std::string upper(std::string text) {
    for (char& c : text)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

std::string indented(std::string_view lines) {
    std::string out;
    bool begins = true;
    for (const char c : lines) {
        if (begins)
            out += "    ";
        out += c;
        begins = c == '\n';
    }
    return out;
}

/// The codes of the same hundred, or all there are.
std::string near(const std::string& code) {
    const auto listed = [](std::string_view start) {
        std::string codes;
        for (const verifier::Title& title : verifier::catalogue())
            if (title.code.starts_with(start))
                codes += fmt::format("{}{}", codes.empty() ? "" : ", ", title.code);
        return codes;
    };
    const std::string codes = code.size() < 2 ? "" : listed(code.substr(0, 2));
    return codes.empty() ? "`skep explain` lists all codes" : "codes that are like it: " + codes;
}

Exit list(const Console& console) {
    Json rows = Json::array();
    std::string text;
    for (const verifier::Title& title : verifier::catalogue()) {
        rows.push_back({{"code", title.code}, {"title", title.title}});
        text += fmt::format("{}  {}\n", title.code, title.title);
    }
    if (console.json)
        console.result(rows);
    else
        console.out(text);
    return Exit::Yes;
}

Result<Exit> explain(const Console& console, const std::string& word) {
    const std::string code = upper(word);
    const Explanation* about = explanation_of(code);
    if (about == nullptr)
        return fail(ErrorCode::Invalid, "unknown code: " + word, {}, near(code));
    const std::string_view title = verifier::title_of(code);
    if (console.json)
        console.result(Json{{"code", code},
                            {"title", title},
                            {"meaning", about->meaning},
                            {"help", about->help},
                            {"example", about->example}});
    else
        console.out(fmt::format("{}: {}\n\n{}\nHow to mend it:\n\n{}\nFor example:\n\n{}", code,
                                title, about->meaning, about->help, indented(about->example)));
    return Exit::Yes;
}

} // namespace

void add_explain(Cli& cli) {
    const auto code = std::make_shared<std::string>();
    CLI::App& verb = cli.verb("explain", "Tell what a code of the verifier means");
    verb.add_option("CODE", *code, "Such as V101; none: list all codes");
    cli.on(verb, [code](const Console& console) -> Result<Exit> {
        return code->empty() ? list(console) : explain(console, *code);
    });
}

} // namespace skep::tool
