# bash completion for vmsec: source <(vmsec completion bash)
#
# Commands and options come from the tool's own --help, and VM names from the
# host, so that they are never out of date.

_vmsec_help_words() { # KIND WORDS...: the options, or the commands, that --help lists
    local kind=$1
    shift
    "${COMP_WORDS[0]}" "$@" --help 2>/dev/null | if [[ $kind == options ]]; then
        sed '/^Examples/,$d' | grep -oE '^  -[^ ]+' | tr ', ' '\n' | grep -E '^-'
    else
        sed -n '/^Subcommands:/,/^$/p' | sed -n 's/^  \([a-z-]*\) .*/\1/p'
    fi
}

_vmsec_vms() {
    "${COMP_WORDS[0]}" "$@" vm list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# A word of each line that a list command prints below its header.
_vmsec_ids() {
    "${COMP_WORDS[0]}" "$@" migrate list 2>/dev/null | awk 'NR > 1 && $1 ~ /-.*-/ { print $1 }'
}

_vmsec_peers() {
    "${COMP_WORDS[0]}" "$@" host info 2>/dev/null | sed -n 's/^peers  \+//p' | tr ',' ' '
}

_vmsec() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local words=() globals=() i word candidates
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            --agent | --plugin | --uri | --setting | --plugin-path | --module-path | --state | --trust)
                globals+=("$word" "${COMP_WORDS[++i]}")
                ;;
            -*) ;;
            *) words+=("$word") ;;
        esac
    done

    case $previous in
        --agent | --ticket | --key | --source-cert | --destination-cert | --placement-key | --out | -o | --folder | \
            --plugin-path | --module-path | --state | --trust)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        --cipher)
            mapfile -t COMPREPLY < <(compgen -W "configured aes-128-gcm aes-256-gcm chacha20-poly1305 none" -- "$current")
            return
            ;;
        --outcome)
            mapfile -t COMPREPLY < <(compgen -W "succeeded refused failed in-doubt" -- "$current")
            return
            ;;
        --language)
            mapfile -t COMPREPLY < <(compgen -W "c++ c" -- "$current")
            return
            ;;
        --key-type)
            mapfile -t COMPREPLY < <(compgen -W "ecdsa-p256 ed25519" -- "$current")
            return
            ;;
        --plugin)
            mapfile -t COMPREPLY < <(compgen -W "kvm sim" -- "$current")
            return
            ;;
        --kind)
            mapfile -t COMPREPLY < <(compgen -W "module plugin" -- "$current")
            return
            ;;
        --role)
            mapfile -t COMPREPLY < <(compgen -W "module plugin in-process" -- "$current")
            return
            ;;
        --to | --fenced)
            mapfile -t COMPREPLY < <(compgen -W "$(_vmsec_peers "${globals[@]}")" -- "$current")
            return
            ;;
        --interface)
            mapfile -t COMPREPLY < <(compgen -W "vmsec.DomainControl vmsec.ResourceControl vmsec.IoControl vmsec.Migration vmsec.MemoryAccess vmsec.BootEvidence vmsec.Events" -- "$current")
            return
            ;;
        --vm | --domain | --guest)
            mapfile -t COMPREPLY < <(compgen -W "$(_vmsec_vms "${globals[@]}")" -- "$current")
            return
            ;;
    esac

    if [[ $current == -* ]]; then
        candidates=$({ _vmsec_help_words options; _vmsec_help_words options "${words[@]:0:2}"; } | sort -u)
        mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$current")
        return
    fi
    case "${words[0]} ${words[1]}" in
        "vm show" | "vm pause" | "vm resume" | "vm start" | "vm undefine" | "vm export" | "vm limits" | "vm stats" | "migrate start" | "attest guest" | "attest release")
            candidates=$(_vmsec_vms "${globals[@]}")
            ;;
        "inspect "?*)
            candidates=$(_vmsec_vms "${globals[@]}")
            ;;
        "inspect ")
            candidates=$("${COMP_WORDS[0]}" "${globals[@]}" module list 2>/dev/null | awk '/vmsec.Inspection/ { print $1 }')
            ;;
        "grant revoke") candidates=$("${COMP_WORDS[0]}" "${globals[@]}" module list 2>/dev/null | awk 'NR > 1 { print $1 }') ;;
        "attest enrol" | "attest learn")
            candidates=$(_vmsec_peers "${globals[@]}")
            ;;
        "migrate status" | "migrate abort" | "migrate resolve")
            candidates=$(_vmsec_ids "${globals[@]}")
            ;;
        "module sign" | "module verify" | "module inspect" | "module key")
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        "module trust")
            mapfile -t COMPREPLY < <(compgen -W "$(_vmsec_help_words commands module trust)" -f -- "$current")
            return
            ;;
        "pki issue" | "pki revoke" | "pki crl" | "pki list")
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            return
            ;;
        "attest log" | "vm define" | "policy check" | "policy diff" | "policy apply" | "ticket show" | "audit show" | "audit verify" | "pki "*)
            mapfile -t COMPREPLY < <(compgen -W "$(_vmsec_help_words commands "${words[@]:0:2}")" -f -- "$current")
            ((${#words[@]} == 1)) && mapfile -t COMPREPLY < <(compgen -W "$(_vmsec_help_words commands "${words[0]}")" -- "$current")
            return
            ;;
        "attest ") candidates="$(_vmsec_help_words commands attest) $(_vmsec_peers "${globals[@]}")" ;;
        "migrate ") candidates="$(_vmsec_help_words commands migrate) $(_vmsec_vms "${globals[@]}")" ;;
        *) candidates=$(_vmsec_help_words commands "${words[@]:0:1}") ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$current")
}

complete -o filenames -F _vmsec vmsec
