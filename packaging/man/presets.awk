# SPDX-License-Identifier: GPL-2.0-or-later
# From the shipped presets to a part of loris-presets(7): description, targets, names of alerts.
# Reads the way in which those files are written, not all of YAML.
function plain(text) {
    gsub(/[\\*_<`]/, "\\\\&", text)
    return text
}

# The value that `key: ` stands before, without quotes; "" when there is none.
function value(line, key,    text) {
    if (!match(line, "(^|[ {])" key ": *(\"[^\"]*\"|[^,}\"#]*)"))
        return ""
    text = substr(line, RSTART, RLENGTH)
    sub(/^.?[a-z]+: */, "", text)
    gsub(/^"|"$| +$/, "", text)
    return text
}

function end_preset() {
    if (targets)
        print "```\n" targets "```\n"
    if (alerts)
        print "Alerts: " alerts ".\n"
    targets = alerts = section = ""
}

FNR == 1 {
    end_preset()
    name = FILENAME
    gsub(/.*\/|\.yaml$/, "", name)
    print "## " name "\n"
}

/^[a-z]+:/ {
    section = substr($1, 1, length($1) - 1)
}

section == "description" && /^description:/ {
    sub(/^description: */, "")
    gsub(/^"|"$/, "")
    print plain($0) "\n"
}

section == "targets" && /^ *- / {
    line = value($0, "target")
    if (!line) {
        line = $0
        gsub(/^ *- *|"| +#.*/, "", line)
    }
    targets = targets line "\n"
}

section == "alerts" && value($0, "alert") {
    line = "*" plain(value($0, "alert")) "* (" value($0, "severity") ")"
    if (index(alerts, line) == 0)
        alerts = alerts (alerts ? ", " : "") line
}

END {
    end_preset()
}
