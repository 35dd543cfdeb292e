# shellcheck shell=sh
# Asks a health check until it passes: at most 3 s, one process of the engine for many questions.
# The check is in a variable and not on this command line, so that a check which looks for processes finds no other.
# Exit: 0 = it passed in its time, 1 = it did not.
check=$REHEARSAL_CHECK limit=$REHEARSAL_LIMIT
unset REHEARSAL_CHECK REHEARSAL_LIMIT
read -r now _ </proc/uptime || exit 2
begun=${now%.*}
while :; do
    read -r now _ </proc/uptime
    asked=${now%.*}${now#*.}
    passed=yes
    eval "$check" </dev/null >/dev/null 2>&1 || passed=no
    read -r now _ </proc/uptime
    took=$((${now%.*}${now#*.} - asked))
    [ $passed = yes ] && [ $took -le "$limit" ] && exit 0
    [ $((${now%.*} - begun)) -ge 3 ] && exit 1
    # Centiseconds: often, but never so often that asking is all the container does.
    pause=$took
    [ $took -lt 7 ] && pause=7
    [ $took -gt 20 ] && pause=$((took * 2))
    case $pause in
    ?) sleep 0.0$pause || sleep 1 ;;
    ??) sleep 0.$pause || sleep 1 ;;
    *) sleep 1 ;;
    esac
done
