# SPDX-License-Identifier: GPL-2.0-or-later
# What scdoc writes, as `mandoc -T lint` wants it: no empty paragraphs (a gap stands after a block,
# not at its end), titles in capitals, lines of at most 80 bytes.
function fold(line,    cut) {
    while (length(line) > 80) {
        cut = 80
        # A line that begins with a dot or a quote would be a request.
        while (cut > 1 && !(substr(line, cut, 1) == " " && substr(line, cut + 1, 1) !~ /[.' ]/))
            cut--
        if (cut == 1)
            break
        print substr(line, 1, cut - 1)
        line = substr(line, cut + 1)
    }
    print line
}

/^\.TH / {
    $2 = toupper($2)
}

/^\.PP?$/ {
    gap = 1
    next
}

/^\.S[HS] / {
    gap = 0
    print
    begins = 1
    next
}

/^\.RE$/ {
    print
    next
}

{
    if (gap && !begins)
        print ".PP"
    gap = begins = 0
}

/^\.nf$/ {
    literal = 1
}

/^\.fi$/ {
    literal = 0
}

/^\./ || literal {
    print
    next
}

{
    fold($0)
}
